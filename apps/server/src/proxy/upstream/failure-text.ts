// Why an upstream could not be connected, as access logs have it: Envoy's words where it has some, else the code of the system or the library.

export function failureText(error: NodeJS.ErrnoException): string {
  if (error.code === 'ECONNREFUSED') return 'delayed_connect_error:_Connection_refused';
  return (error.code ?? error.message).replaceAll(' ', '_');
}

export const SECRET_MISSING = 'TLS_error:_Secret_is_not_supplied_by_SDS';
