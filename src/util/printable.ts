/** Text from outside, for a message: cut to 80 characters, control characters written as \xNN. */
export function printable(text: string): string {
  return escapeControls(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** The whole text, with what would steer a terminal written as \xNN. */
export function escapeControls(text: string, controls = /\p{Cc}/gu): string {
  return text.replace(controls, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
