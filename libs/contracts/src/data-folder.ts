import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The folder that the command and the services of a machine share: downloaded checkpoints, quantised copies, fingerprints, and what "atelier up"
 * starts keeps its streams and logs there. ATELIER_DATA, or ~/.atelier.
 */
export function dataFolder(): string {
  return process.env.ATELIER_DATA || join(homedir(), '.atelier');
}
