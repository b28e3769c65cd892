/**
 * Checks the calls that the gates have recorded: none was refused unexpectedly, and each right of a role is needed. It
 * takes the rights out one by one and replays the calls: at least one must be refused.
 */
import { model } from "./model.ts";
import { recorded } from "./records.ts";
import { exceptions, faults } from "./rights.ts";
import { refused, serviceCalls } from "./services.ts";
import { translate } from "./template.ts";

const stack = model(await translate());
const records = recorded();
const services = serviceCalls(stack);
const wrong = [
  ...(await refused(stack, services)).map(({ by, action, resource }) => `refused: ${by} ${action} ${resource}`),
  ...(await faults(stack, records, services, exceptions())),
];
const sum = records.reduce((count, one) => count + one.count, 0);
console.log(`IAM: ${sum} calls of functions, ${records.length} different ones; ${services.length} of AWS's services`);
wrong.forEach((fault) => console.error(`IAM: ${fault}`));
process.exitCode = wrong.length > 0 ? 1 : 0;
