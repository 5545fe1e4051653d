// What a campaign's page asks of Postgres: drawn once the first numbers are there.

import { Breakdown } from "./breakdown.js";
import { Costs } from "./cost.js";
import { OverTime } from "./over_time.js";
import { SameAge } from "./same_age.js";

/** The panels of a campaign: `lines` over time, `places` by market and number; messages have an age and a price. */
export class Panels {
  constructor(path, { lines, places, areMessages }, again) {
    this.overTime = new OverTime(path, lines, again);
    this.numbers = new Breakdown(path, "number", places, again);
    this.markets = new Breakdown(path, "market", places, again);
    if (areMessages) {
      this.sameAge = new SameAge(path, again);
      this.costs = new Costs(path, again);
    }
  }
}
