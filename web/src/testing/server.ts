import { setupServer } from "msw/node";

/** Answers the requests of a test. Each test says how. */
export const server = setupServer();
