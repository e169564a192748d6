/** A YAML text could not be edited: it has syntax errors, or a path leads through a scalar. */
export class YamlEditError extends Error {
  override readonly name = 'YamlEditError';
  readonly code = 'WEFT_YAML_EDIT';
}
