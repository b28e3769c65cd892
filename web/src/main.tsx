import "@cloudscape-design/global-styles/index.css";
import "./shell/page.css";

import { StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";

import { createApi } from "./api/api";
import { Session } from "./auth/session";
import { loadConfig } from "./config";
import { createQueryClient } from "./orders/queries";
import { App } from "./shell/App";
import { ErrorPage } from "./shell/ErrorPage";
import { reloadIfOutdated } from "./shell/reload";
import { startTheme } from "./shell/theme";

async function start(root: Root): Promise<void> {
  root.render(<p role="status">Starting</p>);
  try {
    // Fails in a browser that refuses storage, without which nobody can sign in either.
    startTheme();
    const config = await loadConfig();
    const session = await Session.open(config);
    const services = { config, session, api: createApi(session) };
    root.render(
      <StrictMode>
        <App services={services} queryClient={createQueryClient()} />
      </StrictMode>,
    );
  } catch (error) {
    const again = () => void start(root);
    root.render(<ErrorPage title="Order API can't be started" error={error} action="Try again" onAction={again} />);
  }
}

window.addEventListener("vite:preloadError", () => void reloadIfOutdated());
// A page that comes back by the browser's "back" is as it was when it was left: before a sign-in or a sign-out.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

const element = document.getElementById("root");
if (element) void start(createRoot(element));
