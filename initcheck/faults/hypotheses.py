"""What claims of kind ``exact`` and ``theorem`` assume, and for each assumption a fault against it.

Under that fault the claim must be refuted by its limit, whatever its record says. A limit that
stays green without its hypothesis is too wide, or the claim is not about what its sentence says.
"""

from __future__ import annotations

from collections.abc import Iterable

from initcheck.faults.hypothesis import Hypothesis
from initcheck.faults.todays_hypotheses import TODAY

HYPOTHESES = (
    # starts
    Hypothesis(
        "Whatever is filled with zeros is exactly zero.", "zeros_with_noise",
        (
            "all_zero_network_stays_symmetric",
            "all_zero_elu_network_is_no_wiser_than_chance",
            "all_zero_convolutions_stay_zero",
            "all_zero_batch_norm_network_stays_zero",
            "batch_norm_locks_zero_weights",
            "batch_norm_locks_zero_weights_on_cifar",
            "first_step_of_wave_has_rank_one",
            "one_more_layer_wakes_a_step",
            "one_more_layer_wakes_a_step_on_cifar",
            "one_more_convolution_wakes_a_step",
            "zero_head_passes_no_gradient_in_the_first_step",
            "zero_queries_attend_uniformly",
            "zeroed_layer_keeps_atom_at_zero",
            "zero_adapter_never_moves",
            "zero_head_holds_back_all_below_it",
            "zeroed_branches_are_the_identity_and_wake_from_their_end",
            "two_zeros_in_series_never_move",
        ),
    ),
    Hypothesis(
        "All weights of a layer are equal.", "ones_drawn",
        ("all_one_network_stays_symmetric", "all_one_network_starts_at_chance"),
    ),
    Hypothesis(
        "The biases of a layer are equal, or it has none.", "biases_drawn_at_random",
        (
            "bias_free_relu_network_is_homogeneous",
            "equal_biases_add_at_most_one_dimension",
            "gain_multiplies_logits_and_gradients_by_known_powers",
            "identity_caps_residual_rank",
            "identity_starts_at_loss_of_guessing",
        ),
    ),
    Hypothesis(
        "The biases of a layer are independent draws.", "biases_drawn_equal",
        ("random_biases_part_all_one_units", "normal_biases_kill_half_of_relu_units"),
    ),
    Hypothesis(
        "The weights of a layer are independent draws.", "two_draws_per_layer",
        (
            "heuristic_is_resolved_per_layer",
            "normal_law_has_its_variance",
            "siren_start_keeps_hidden_states_at_their_fixed_point",
            "siren_states_die_where_omega_is_forgotten",
            "torch_default_has_its_variance_and_bound",
            "truncated_normal_law_has_its_variance",
            "uniform_law_has_its_variance_and_bound",
            "uniform_law_is_centred",
        ),
    ),
    Hypothesis(
        "No weight is negative.", "positive_uniform_centred",
        ("positive_weights_start_in_one_direction",),
    ),
    Hypothesis(
        "The weights have a variance of 1, so the softmax is saturated.", "randn_scaled_down",
        ("clamped_loss_counts_errors",),
    ),
    Hypothesis(
        "No two units start equal.", "he_zeroed", ("conforming_start_tells_units_apart",),
    ),
    Hypothesis(
        "The start is drawn from its own generator.", "generator_ignored",
        ("conforming_start_depends_on_the_generator_alone",),
    ),
    Hypothesis(
        "The standard deviation is divided by the root of fan-in.", "fan_out_for_fan_in",
        (
            "conforming_start_scales_with_fan_in",
            "fan_in_keeps_the_moment_of_convolutions_that_are_not_transposed",
        ),
    ),
    # structure
    Hypothesis(
        "The weights are a partial identity.", "hadamard_for_identity",
        ("identity_caps_residual_rank",),
    ),
    Hypothesis(
        "The Hadamard transform is computed, and nothing is drawn.", "hadamard_with_noise",
        ("zero_draws_no_randomness",),
    ),
    Hypothesis(
        "The hidden layers have the claimed widths: none is wider than its input, or the wide one "
        "is a power of two.", "hidden_layers_widened",
        ("zero_is_identity_where_nothing_widens", "hadamard_columns_are_orthonormal"),
    ),
    Hypothesis(
        "The columns or rows of the weights are orthonormal.", "not_orthogonalized",
        (
            "delta_orthogonal_convolutions_keep_norms",
            "looks_linear_start_keeps_norms",
            "looks_linear_start_keeps_norms_through_a_hundred_layers",
            "orthogonal_start_multiplies_by_its_gain",
            "product_of_orthogonal_layers_is_orthogonal",
        ),
    ),
    Hypothesis(
        "Orthogonal matrices are uniform under rotations.", "orthogonal_without_signs",
        ("orthogonal_matrices_prefer_no_sign",),
    ),
    Hypothesis(
        "The ones of a kernel are at its centre.", "dirac_off_centre",
        ("dirac_convolutions_are_the_identity",),
    ),
    Hypothesis(
        "Each unit averages all inputs but one.", "spray_is_one",
        ("spray_starts_in_one_direction",),
    ),
    # arithmetic
    Hypothesis(
        "The derivative of ReLU is exactly 0 for negative inputs.", "leaky_relu",
        ("negative_biases_freeze_relu_rows", "negative_biases_freeze_zeroed_rows"),
    ),
    Hypothesis(
        "The activation is positively homogeneous.", "elu_for_relu",
        (
            "bias_free_relu_network_is_homogeneous",
            "relu_layers_turn_images_to_one_direction",
            "relu_unit_moves_its_two_sides_equally",
            "rescaled_relu_layers_need_rescaled_rates",
        ),
    ),
    Hypothesis(
        "The activation is differentiable almost everywhere, with that derivative.",
        "activations_rounded", ("activation_has_its_derivative",),
    ),
    Hypothesis(
        "Units are dropped independently.", "dropout_by_row", ("dropout_masks_units",),
    ),
    Hypothesis(
        "Masks keep 0.8, 0.8 and 0.9 of the samples.", "dropout_rate_halved",
        ("masked_samples_set_a_ceiling",),
    ),
    # optimizers
    Hypothesis(
        "The optimizer does not decay weights.", "weight_decay",
        (
            "all_zero_batch_norm_network_stays_zero",
            "identity_confines_residual_under_any_optimizer",
        ),
    ),
    Hypothesis(
        "The optimizer decays weights.", "weight_decay_ignored",
        ("weight_decay_breaks_confinement",),
    ),
    Hypothesis(
        "The decay of AdamW does not pass through the gradient.", "decay_not_decoupled",
        ("decoupled_decay_shrinks_by_known_factor",),
    ),
    Hypothesis(
        "Adam's moments are corrected for starting at zero.", "adam_without_bias_correction",
        ("adam_starts_with_steps_of_its_learning_rate",),
    ),
    Hypothesis(
        "The step of a tensor depends on no other tensor.", "later_tensors_lag",
        ("optimizer_treats_parameters_alone",),
    ),
    Hypothesis(
        "A learning rate goes with the square of a parameter's scale under SGD, and with the scale "
        "itself under Adam.", "rates_of_the_other_optimizer",
        (
            "multiplier_is_undone_by_square_of_it_under_sgd",
            "multiplier_is_undone_once_under_adam_with_its_eps",
            "rescaled_relu_layers_need_rescaled_rates",
            "weights_before_norm_set_its_learning_rate",
        ),
    ),
    Hypothesis(
        "The activation is odd.", "tanh_shifted", ("negated_tanh_units_train_the_same_bits",),
    ),
    Hypothesis(
        "An update does not depend on the place of a weight.", "gradients_weighted_by_place",
        ("reordered_units_train_alike",),
    ),
    Hypothesis(
        "Adam adds eps to the root of the second moment.", "adam_eps_inside_root",
        ("gradients_below_eps_hardly_move_weights_under_adam",),
    ),
    Hypothesis(
        "Parameters and the optimizer's state are in bfloat16.", "bfloat16_is_float32",
        ("unit_gains_stay_in_bfloat16",),
    ),
    Hypothesis(
        "The optimizer holds the parameters that compute.", "optimizer_holds_copies",
        ("optimizer_moves_every_parameter",),
    ),
    Hypothesis(
        "The optimizer holds parameters that were replaced.", "copies_are_the_module",
        ("stale_optimizer_trains_nothing",),
    ),
    *TODAY,
)  # fmt: skip


def of(claim: str) -> tuple[Hypothesis, ...]:
    """What the claim of this name, without parameters, assumes; empty if nothing is listed."""
    return tuple(each for each in HYPOTHESES if claim in each.claims)


def unlisted(claims: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Of these claims, given as name and kind, the exact ones and theorems without a hypothesis."""
    needy = {name for name, kind in claims if kind in ("exact", "theorem")}
    return tuple(sorted(name for name in needy if not of(name)))
