"""The hypotheses of claims on adapters, copies, torch's layers, transformers and laws in depth."""

from __future__ import annotations

from initcheck.faults.hypothesis import Hypothesis

TODAY = (
    # adapters and copies
    Hypothesis(
        "One factor of an adapter is zero.", "adapter_drawn_whole",
        ("adapter_starts_as_its_base",),
    ),
    Hypothesis(
        "One factor of an adapter is not zero.", "adapter_zeroed_whole",
        ("zero_factor_of_adapter_moves_first",),
    ),
    Hypothesis(
        "Each shard of a weight has a seed that no other has.", "shards_from_one_seed",
        ("sharded_start_has_full_rank",),
    ),
    Hypothesis(
        "The parts of a weight are copies.", "copies_drawn_separately",
        (
            "copied_experts_never_part",
            "equal_heads_never_part",
            "shards_from_one_seed_stay_copies",
        ),
    ),
    Hypothesis(
        "A gate is divided by its own sum.", "gate_not_normalized",
        ("normalized_top_1_gate_starves_its_router",),
    ),
    Hypothesis(
        "The copies of a unit share its outgoing weights.", "outgoing_weights_whole",
        ("widened_network_starts_as_its_base",),
    ),
    Hypothesis(
        "The copies of a unit have equal outgoing weights.", "outgoing_shares_unequal",
        ("copied_units_never_part",),
    ),
    # starts of torch's layers
    Hypothesis(
        "An encoder copies its layer and draws nothing.", "encoder_layers_redrawn",
        ("encoder_layers_start_as_copies",),
    ),
    Hypothesis(
        "Packed projections are drawn as one layer.", "projections_drawn_separately",
        ("packed_projections_start_at_half_of_xaviers_variance",),
    ),
    Hypothesis(
        "Every layer of an LSTM has its forget bias.", "forget_bias_in_first_layer",
        ("forget_bias_sets_the_memory_of_an_lstm",),
    ),
    Hypothesis(
        "The recurrence is the identity.", "identity_shifted_by_one",
        ("identity_recurrence_keeps_its_gradient",),
    ),
    # deferred and overwritten starts
    Hypothesis(
        "The reset of each layer sets all that it holds.", "norm_resets_once",
        ("every_reset_sets_all_of_torchs_layers",),
    ),
    Hypothesis(
        "An attention layer has no reset.", "attention_resets",
        ("deferred_attention_stays_unset",),
    ),
    Hypothesis(
        "A padding row gets no gradient.", "padding_gets_gradient",
        ("padding_row_never_moves",),
    ),
    Hypothesis(
        "Rows of zeros are spared.", "zeros_overwritten",
        ("sparing_pass_keeps_zeros_of_the_constructor",),
    ),
    # adapters that keep the base, and their scales
    Hypothesis(
        "The frozen weight gives up what the adapter holds.", "principal_part_kept",
        ("principal_adapter_starts_as_its_base",),
    ),
    Hypothesis(
        "Magnitudes start as the lengths of the rows.", "magnitudes_are_one",
        ("decomposed_adapter_starts_as_its_base",),
    ),
    Hypothesis(
        "The scale is alpha over the root of the rank for SGD, over the rank for Adam.",
        "rank_scales_swapped",
        (
            "plain_scale_makes_first_adam_step_blind_to_rank",
            "root_scale_makes_first_sgd_step_blind_to_rank",
        ),
    ),
    # what a start decides
    Hypothesis(
        "The weights are symmetric about zero.", "uniform_without_negative_half",
        ("narrow_relu_chains_are_born_dead",),
    ),
    Hypothesis(
        "A layer is divided by the standard deviation of its outputs.", "divided_by_variance",
        ("lsuv_start_has_unit_variance",),
    ),
    Hypothesis(
        "The mean of a unit's outputs is subtracted.", "mean_not_subtracted",
        ("data_dependent_start_standardizes_units",),
    ),
    # transformers
    Hypothesis(
        "The last layers of branches are divided by the root of the number of branches.",
        "residual_projections_not_scaled", ("scaled_projections_add_alike_at_every_depth",),
    ),
    Hypothesis(
        "The rows of an embedding are as small as all other weights.",
        "embeddings_keep_torchs_start", ("small_embeddings_start_at_chance",),
    ),
    Hypothesis(
        "Gains of norms are no weights.", "norm_gains_drawn",
        ("initializer_leaves_gains_of_norms_at_one",),
    ),
    Hypothesis(
        "The head's biases are the logarithms of shares.", "head_bias_negated",
        ("log_shares_start_at_their_cross_entropy",),
    ),
    # laws in depth
    Hypothesis(
        "He's gain for ReLU is the square root of 2.", "he_gain_one",
        (
            "relu_layers_multiply_the_moment_by_known_factors",
            "unscaled_he_blocks_double_the_moment",
        ),
    ),
    Hypothesis(
        "The gain belongs to the activation.", "keeping_gain_one",
        ("gain_that_keeps_the_moment_depends_on_the_activation",),
    ),
    Hypothesis(
        "Each unit is normalized over the images.", "batch_norm_left_out",
        (
            "batch_norm_makes_the_moment_grow_by_one_a_block",
            "batch_norm_without_skips_makes_gradients_explode",
        ),
    ),
    Hypothesis(
        "The weights have the claimed standard deviation.", "variance_as_std",
        ("tanh_gradients_grow_by_chi",),
    ),
    Hypothesis(
        "Attention mixes tokens.", "attention_sees_only_itself",
        ("attention_without_skips_makes_all_tokens_equal",),
    ),
    Hypothesis(
        "Attention divides products by the root of the width.", "attention_unscaled",
        ("scaled_attention_starts_spread_out_at_every_width",),
    ),
    Hypothesis(
        "Queries and keys are normalized.", "normalize_left_out",
        ("normalized_queries_and_keys_hide_the_scale_of_their_weights",),
    ),
    Hypothesis(
        "The gain is 1, not ReLU's.", "he_gain_everywhere",
        ("selu_pulls_states_to_unit_size_from_lecun_normal_weights",),
    ),
    Hypothesis(
        "A uniform law's bound is sqrt(3) standard deviations.", "uniform_bound_is_std",
        ("torch_default_shrinks_tanh_gradients_by_root_three",),
    ),
    Hypothesis(
        "The gain is exactly He's.", "weights_scaled_up",
        ("relu_layer_scatters_the_length_by_five_over_width",),
    ),
    Hypothesis(
        "Branches are divided by the root of their number.", "branches_not_scaled",
        ("scaled_branches_scatter_the_length_less_than_one_plain_layer",),
    ),
    Hypothesis(
        "The activation is ReLU, which half of the units leave at zero.", "sigmoid_for_relu",
        ("sum_of_inverse_widths_sets_the_scatter_not_depth",),
    ),
)  # fmt: skip
