// One campaign: the page of its channel. That of calls is fetched once a frame has said that it is one.

import { notice, show } from "./frame.js";
import { heading } from "./parts.js";
import { WhatsAppPage } from "./whatsapp.js";

const PAGES = {
  voice: () => import("./voice.js").then((module) => module.VoicePage),
  whatsapp: async () => WhatsAppPage,
};

export function showCampaign(tenant, id) {
  const path = `/v1/tenants/${encodeURIComponent(tenant)}/campaigns/${encodeURIComponent(id)}`;
  const page = { channel: null, shown: null };
  const again = show({
    tenant,
    query: `campaign=${encodeURIComponent(id)}`,
    name: "campaign",
    title: ({ campaign }) => `${campaign?.name ?? id} · Tally`,
    draw: (live) => {
      if (live.campaign === null) {
        return [heading(id), notice("Nothing is counted yet", "The campaign's first send result or call shows here by itself.")];
      }
      const { channel } = live.campaign;
      if (page.channel !== channel) {
        Object.assign(page, { channel, shown: null });
        PAGES[channel]()
          .then((kind) => page.channel === channel && Object.assign(page, { shown: new kind(path, () => again()) }))
          .catch(() => Object.assign(page, { channel: null })) // the server is away: the next frame tries again
          .finally(() => again());
      }
      return page.shown ? page.shown.draw(live) : heading(live.campaign.name ?? id);
    },
  });
}
