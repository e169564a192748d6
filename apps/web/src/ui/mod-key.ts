/** The key of shortcuts, as the keyboard at hand has it: what is bound takes both. */
export const MOD = /^(Mac|iP)/.test(navigator.platform) ? '⌘' : 'Ctrl+';
