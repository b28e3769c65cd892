import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";

const STORAGE_KEY = "order-api:theme";

/** The person's choice. Without one, the theme is the system's. */
const chosen = (): Theme | undefined => {
  const stored = window.localStorage.getItem(STORAGE_KEY);
  return stored === "light" || stored === "dark" ? stored : undefined;
};

const system = window.matchMedia("(prefers-color-scheme: dark)");
const current = (): Theme => chosen() ?? (system.matches ? "dark" : "light");

const listeners = new Set<() => void>();

function apply(): void {
  applyMode(current() === "dark" ? Mode.Dark : Mode.Light);
  document.documentElement.style.colorScheme = current();
  listeners.forEach((listener) => listener());
}

/** Applies the theme, and follows the system's. */
export function startTheme(): void {
  system.addEventListener("change", apply);
  apply();
}

function choose(theme: Theme): void {
  window.localStorage.setItem(STORAGE_KEY, theme);
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): { theme: Theme; toggle: () => void } {
  const theme = useSyncExternalStore(subscribe, current);
  return {
    theme,
    toggle: () => {
      choose(theme === "dark" ? "light" : "dark");
    },
  };
}
