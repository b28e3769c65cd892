import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { deployedStack, localStack } from "./vite.local.ts";

export default defineConfig({
  plugins: [react(), localStack(), deployedStack()],
  build: {
    // Scripts and styles come from files only, as the content security policy demands.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
  },
  test: {
    restoreMocks: true,
    testTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "app",
          environment: "jsdom",
          environmentOptions: { jsdom: { url: "https://orders.example" } },
          setupFiles: "src/testing/setup.ts",
          include: ["src/**/*.test.{ts,tsx}"],
          // Cloudscape's modules import style sheets, which Node can't load.
          server: { deps: { inline: [/@cloudscape-design/] } },
        },
      },
      { extends: true, test: { name: "development server", environment: "node", include: ["*.test.ts"] } },
    ],
  },
});
