import { NAME_PATTERN, NAME_RULE } from '@atelier/client';
import { z } from 'zod';

export const renameBody = z.strictObject({ name: z.string().regex(NAME_PATTERN, `use ${NAME_RULE}`) });
