"""Models of torchvision and timm."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import torch

from tests.inspection.libraries.inputs import Entry, images

# --- torchvision ----------------------------------------------------------------------------------

SIDES = {"inception_v3": 299, "vit": 224, "maxvit": 224, "swin": 224}
CLASSIFIERS = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "maxvit_t", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large",
    "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet34", "resnet50",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1",
    "swin_t", "swin_v2_t", "vgg11", "vgg11_bn", "vit_b_32", "wide_resnet50_2",
]  # fmt: skip
SEGMENTERS = ["deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large"]
DETECTORS = [
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
]  # fmt: skip


def torchvision_classifier(name: str) -> Entry:
    """A classifier of torchvision with ten classes."""
    models = import_module("torchvision.models")
    side = next((side for part, side in SIDES.items() if name.startswith(part)), 96)
    more = {"aux_logits": False} if name in {"googlenet", "inception_v3"} else {}
    return partial(getattr(models, name), weights=None, num_classes=10, **more), partial(
        images, side
    )


def segmenter(name: str) -> Entry:
    """A segmentation model of torchvision with ten classes for each pixel."""
    build = getattr(import_module("torchvision.models.segmentation"), name)

    def batch() -> Any:
        inputs, labels = images(64)
        return inputs, labels[:, None, None].expand(-1, 64, 64).contiguous()

    return partial(build, weights=None, weights_backbone=None, num_classes=10), batch


def detector(name: str) -> Entry:
    """A detector of torchvision, whose loss is the sum of the losses that it returns."""
    build = getattr(import_module("torchvision.models.detection"), name)
    boxes = torch.tensor([[5.0, 5.0, 60.0, 70.0], [20.0, 10.0, 90.0, 50.0]])

    def batch() -> Any:
        inputs, _ = images(96)
        targets = [{"boxes": boxes.clone(), "labels": torch.tensor([1, 3])} for _ in inputs]
        return list(inputs), targets

    def loss(module: Any, batch: Any) -> Any:
        return sum(module(*batch).values())

    more = {} if "320" in name else {"min_size": 128, "max_size": 256}
    return partial(build, weights=None, weights_backbone=None, num_classes=10, **more), batch, loss


# --- timm -----------------------------------------------------------------------------------------

TIMM = [
    "beit_base_patch16_224", "bat_resnext26ts", "botnet26t_256", "cait_xxs24_224", "coat_tiny",
    "coatnet_nano_rw_224", "convit_tiny", "convmixer_768_32", "convnext_atto", "convnextv2_atto",
    "crossvit_tiny_240", "cs3darknet_s", "cspresnet50", "darknet17", "davit_tiny",
    "deit_tiny_patch16_224", "densenet121", "dla34", "dm_nfnet_f0", "dpn48b", "edgenext_xx_small",
    "efficientformer_l1", "efficientnet_b0", "efficientvit_b0", "eva02_tiny_patch14_224",
    "fastvit_t8", "fbnetc_100", "focalnet_tiny_srf", "gcvit_xxtiny", "gernet_s", "ghostnet_050",
    "halonet26t", "hgnet_tiny", "hrnet_w18_small", "inception_next_tiny", "lambda_resnet26t",
    "lcnet_050", "levit_128s", "maxvit_pico_rw_256", "mixer_s32_224", "mnasnet_050",
    "mobilenetv3_small_050", "mobileone_s0", "mobilevit_xxs", "mobilevitv2_050", "nest_tiny",
    "nf_resnet50", "pit_ti_224", "poolformer_s12", "pvt_v2_b0", "regnetx_002", "repvgg_a0",
    "res2net50_14w_8s", "resmlp_12_224", "resnest14d", "resnet10t", "rexnet_100",
    "sebotnet33ts_256", "selecsls42", "skresnet18", "swin_tiny_patch4_window7_224",
    "tiny_vit_5m_224", "tnt_s_patch16_224", "tresnet_m", "twins_svt_small",
    "visformer_tiny", "vit_tiny_patch16_224", "volo_d1_224", "vovnet39a", "xception41",
    "xcit_nano_12_p16_224",
]  # fmt: skip


#: Convolutional networks that take smaller images, too.
TIMM_SMALL = {
    "convmixer_768_32", "cspresnet50", "darknet17", "dm_nfnet_f0", "inception_next_tiny",
    "mobileone_s0", "nf_resnet50", "res2net50_14w_8s", "selecsls42", "tresnet_m", "vovnet39a",
    "xception41",
}  # fmt: skip
#: With fewer blocks than they are named for.
TIMM_SHALLOW: dict[str, dict[str, Any]] = {
    "beit_base_patch16_224": {"depth": 3},
}


def timm_model(name: str) -> Entry:
    """A model of timm with ten classes, at its own image size."""
    timm = import_module("timm")
    size = 96 if name in TIMM_SMALL else timm.get_pretrained_cfg(name).input_size[-1]
    more = TIMM_SHALLOW.get(name, {})
    build = partial(timm.create_model, name, pretrained=False, num_classes=10, **more)
    return build, partial(images, size)
