/** The extension, as a page sees it. */

interface Api {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}
declare function acquireVsCodeApi(): Api;

const api = acquireVsCodeApi();

export const send = (message: { readonly command: string; readonly [key: string]: unknown }) =>
  api.postMessage(message);

/** What a page remembers while it is hidden. */
export const remembered = <T>(otherwise: T): T => (api.getState() as T | undefined) ?? otherwise;
export const remember = (state: unknown) => api.setState(state);

export function listen<T>(receive: (message: T) => void): void {
  window.addEventListener('message', ({ data }) => receive(data as T));
  send({ command: 'ready' });
}

type Child = Node | string;

/** An element with attributes and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
