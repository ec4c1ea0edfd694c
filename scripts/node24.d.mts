/** The path of a Node 24 executable. */
export function node24(): string;
