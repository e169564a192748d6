// Failures of agent and supervisor a user can act on: one line each, exit code 1.

/** Something about this machine or this command stands in the way; `message` names it and says what to do. */
export class StartError extends Error {
  readonly code:
    | 'WEFT_PORT_TAKEN'
    | 'WEFT_STATE_DIR'
    | 'WEFT_SERVER_UNREACHABLE'
    | 'WEFT_PROXY_UNREACHABLE'
    | 'WEFT_REFUSED'
    | 'WEFT_CHILD_FAILED'
    | 'WEFT_DIFF_FAILED'
    | 'WEFT_ENGINE_MISSING'
    | 'WEFT_USAGE';
  constructor(code: StartError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
    this.code = code;
  }
}
