// Which page an address shows. Each page is a module of its own; the server asks browsers to fetch it with this one.

const tenant = new URLSearchParams(location.search).get("tenant");
const [, first, second] = location.pathname.split("/");

/** A part of the path as text; what no address of ours could be stands as it is. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const PAGES = {
  "": () => import("./campaigns.js").then((page) => page.showCampaigns(tenant)),
  c: () => import("./campaign.js").then((page) => page.showCampaign(tenant, decoded(second))),
  compare: () => import("./compare.js").then((page) => page.showCompare(tenant)),
  proof: () => import("./proof.js").then((page) => page.showProof(tenant)),
  api: () => import("./api.js").then((page) => page.showApi(tenant)),
  wall: () => import("./wall.js").then((page) => page.showWall(tenant)),
};

if (tenant) PAGES[first]();
else import("./tenants.js").then((page) => page.showTenants());
