// Fields that are taken, as Istio takes them, and do nothing here: each is told, with its path.

/** Code of every such finding. */
export const NO_EFFECT = 'WEFT_NO_EFFECT';
