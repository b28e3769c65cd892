import { defineConfig } from "vite";

import { localStack } from "./vite.local.ts";

/** Serves the page of `make docs`, with the API of the local stack under `/api`. */
export default defineConfig({
  root: "../target/docs",
  plugins: [localStack()],
});
