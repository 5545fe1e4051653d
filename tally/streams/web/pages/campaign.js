// One campaign: the page of its channel. Scripts of calls are fetched once a frame has said that it is one, and those of
// panels once its first numbers are there.

import { notice, show } from "./frame.js";
import { coming, heading } from "./parts.js";
import * as whatsapp from "./whatsapp.js";

export function showCampaign(tenant, id) {
  const path = `/v1/tenants/${encodeURIComponent(tenant)}/campaigns/${encodeURIComponent(id)}`;
  const voice = lazily(() => import("./voice.js"), () => again());
  const scripts = lazily(() => import("./panels.js"), () => again());
  const PAGES = { voice, whatsapp: () => whatsapp };
  const kept = { of: null, panels: null };
  const panelsOf = (page) => {
    const there = scripts();
    if (there && kept.of !== page) Object.assign(kept, { of: page, panels: new there.Panels(path, page.ASKED, () => again()) });
    return there && kept.panels;
  };
  const again = show({
    tenant,
    query: `campaign=${encodeURIComponent(id)}`,
    name: "campaign",
    title: ({ campaign }) => `${campaign?.name ?? id} · Tally`,
    draw: (live) => {
      const { campaign } = live;
      if (campaign === null) {
        return [heading(id), notice("Nothing is counted yet", "The campaign's first send result or call shows here by itself.")];
      }
      const page = PAGES[campaign.channel]();
      return page ? page.draw(live, panelsOf(page)) : [heading(campaign.name ?? id), coming("Over time")];
    },
  });
}

/** A function that returns a script once it is there, and asks for it: again at the next frame while the server is away. */
function lazily(load, came) {
  let there = null;
  let isAsked = false;
  return () => {
    if (!isAsked) {
      isAsked = true;
      load().then((script) => {
        there = script;
        came();
      }, () => (isAsked = false));
    }
    return there;
  };
}
