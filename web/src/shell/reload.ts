/**
 * Loads the page again if a newer one is deployed. A tab that was opened before a deployment may ask for a file that is
 * gone. If the page is the newest one already, a reload would not help, so there is no loop.
 */
export async function reloadIfOutdated(reload: () => void = () => window.location.reload()): Promise<void> {
  const entry = document.querySelector<HTMLScriptElement>('script[type="module"][src]')?.getAttribute("src");
  const response = await fetch("/index.html", { cache: "no-store" }).catch(() => undefined);
  if (!entry || !response?.ok) return;
  if (!(await response.text()).includes(entry)) reload();
}
