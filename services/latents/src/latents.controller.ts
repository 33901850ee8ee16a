import { Controller } from '@nestjs/common';
import { LatentsWork, subjects } from '@atelier/contracts';
import { deadLetter, done, isPermanent, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { LatentsService } from './latents.service';

@Controller()
export class LatentsController {
  constructor(private readonly service: LatentsService) {}

  /**
   * A picture that cannot be encoded is given up at once where another try would end the same way, else when its
   * attempts are used up.
   */
  @WorkHandler(subjects.work.latents, LatentsWork, { onExhausted: 'giveUp' })
  async encode(work: LatentsWork, { signal }: Pick<WorkContext, 'signal'>): Promise<Outcome> {
    try {
      await this.service.encode(work, signal);
      return done;
    } catch (error) {
      if (signal.aborted || !isPermanent(error)) throw error;
      return this.giveUp(work, error.message);
    }
  }

  async giveUp(work: LatentsWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(work, reason);
    return deadLetter(reason, work.name);
  }
}
