/** What asks a supervisor to stop: Ctrl-C, a service manager, the end of the terminal. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
