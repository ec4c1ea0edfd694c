/**
 * Types of Transformers that are no language models: image encoders, detectors, segmenters, depth and video models
 * (`model_type`s of transformers/models).
 */
const images =
  /^(vit.*|deit|beit|data2vec-vision|swin.*|resnet|regnet|convnext.*|cvt|levit|poolformer|pvt.*|efficient.*net.*|mobilenet_.*|mobilevit.*|bit|focalnet|hiera|dinov\d.*|ijepa|segformer|upernet|mask2?former|oneformer|.*detr.*|deta|d_fine|yolos|table-transformer|grounding-dino|mm-grounding-dino|owlvi?t.*|owlv2|sam|sam2.*|sam_hq.*|depth_anything.*|depth_pro|dpt|glpn|zoedepth|super(point|glue)|timm_.*|timesformer|videomae|vivit|vjepa2|.*_vision_model)$/;

/** Models that read a whole text at once, or two texts, or sounds, and have no row: a decoder's block is not theirs. */
const encoders =
  /^(bert|roberta|distilbert|albert|electra|deberta|xlm-roberta|modernbert|t5|mt5|umt5|bart|mbart|pegasus|whisper|clip|siglip.*|wav2vec2|hubert)$/;

/** A model of a kind that is known, and whose cost no decoder's block could tell. */
export const isOtherModel = (type: string): boolean => encoders.test(type) || images.test(type);
