/** How long a service that is asked to stop waits for a mesh that is away. */
export const STOPPING_PATIENCE_MS = 5000;
