import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { localStack } from "./vite.local.ts";

export default defineConfig({
  plugins: [react(), localStack()],
  build: {
    // Scripts and styles come from files only, as the content security policy demands.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
  },
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "https://orders.example" } },
    setupFiles: "src/testing/setup.ts",
    include: ["src/**/*.test.{ts,tsx}"],
    // Cloudscape's modules import style sheets, which Node can't load.
    server: { deps: { inline: [/@cloudscape-design/] } },
    restoreMocks: true,
    testTimeout: 60_000,
  },
});
