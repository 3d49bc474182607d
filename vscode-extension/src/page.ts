/** Web pages of views and editors: nothing but our own scripts and styles may run in them. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** Where web views may read files from. */
export const mediaRoots = (context: vscode.ExtensionContext) => [
  vscode.Uri.joinPath(context.extensionUri, 'media'),
  vscode.Uri.joinPath(context.extensionUri, 'dist'),
];

/** A page whose body is empty and whose script fills it. */
export function page(context: vscode.ExtensionContext, webview: vscode.Webview, name: string, title: string): string {
  const nonce = randomBytes(16).toString('hex');
  const file = (...parts: string[]) => webview.asWebviewUri(vscode.Uri.joinPath(context.extensionUri, ...parts));
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}';`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="stylesheet" href="${file('media', 'page.css')}">
<link rel="stylesheet" href="${file('media', `${name}.css`)}">
<title>${title}</title>
</head>
<body>
<script nonce="${nonce}" src="${file('dist', 'webviews', `${name}.js`)}"></script>
</body>
</html>`;
}
