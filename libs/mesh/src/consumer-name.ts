/** `work.train` → `work-train`: consumer names may hold no dots. */
export const consumerName = (subject: string): string => subject.replaceAll('.', '-');
