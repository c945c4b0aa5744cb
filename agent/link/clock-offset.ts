// What the agent knows of the controller's clock, from questions and answers over one session
// (Cristian's algorithm): the answer with the shortest round trip says the most. Pure.

export interface ClockSample {
  /** When the question left and the answer came, by this process's clock, milliseconds. */
  readonly sentAt: number
  readonly receivedAt: number
  /** The controller's clock when it answered, epoch milliseconds. */
  readonly controllerAt: number
}

export interface ClockOffset {
  /** The controller's clock minus ours, milliseconds. */
  readonly offsetMs: number
  /** Half of the shortest round trip: the offset is wrong by no more. */
  readonly errorMs: number
  /** The 99th percentile of the round trips that are kept. */
  readonly roundTripMs: number
}

/** Three minutes of one question every five seconds: older answers say less, since clocks drift. */
export const clockSamplesKept = 36

/** The samples that are kept, the newest last. */
export function withSample(
  samples: readonly ClockSample[],
  sample: ClockSample,
): readonly ClockSample[] {
  return [...samples, sample].slice(-clockSamplesKept)
}

/** Null before the first answer. */
export function clockOffset(samples: readonly ClockSample[]): ClockOffset | null {
  const roundTrips = samples.map(roundTripMs).sort((a, b) => a - b)
  const shortest = samples.reduce<ClockSample | null>(
    (best, sample) => (best === null || roundTripMs(sample) < roundTripMs(best) ? sample : best),
    null,
  )
  if (shortest === null) return null
  const middle = (shortest.sentAt + shortest.receivedAt) / 2
  return {
    offsetMs: shortest.controllerAt - middle,
    errorMs: roundTripMs(shortest) / 2,
    roundTripMs: roundTrips[Math.ceil(roundTrips.length * 0.99) - 1] ?? 0,
  }
}

function roundTripMs(sample: ClockSample): number {
  return sample.receivedAt - sample.sentAt
}
