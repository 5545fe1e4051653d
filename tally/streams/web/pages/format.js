// Numbers, shares and times as text. A share is never rounded to all or to none of it.

const whole = new Intl.NumberFormat("en");

export const count = (number) => (typeof number === "number" ? whole.format(number) : "–");

/** A share in per cent, "–" where there is nothing to share. */
export function percent(part, of) {
  if (!of) return "–";
  const share = (100 * part) / of;
  if (part > 0 && share < 0.01) return "< 0.01 %";
  const digits = share > 0 && share < 1 ? 2 : 1;
  if (part < of && Number(share.toFixed(1)) >= 100) return "> 99.9 %";
  return `${share.toFixed(digits)} %`;
}

/** Milliseconds as people say them: "2.1 s", "3 min 40 s", "2 h 5 min". */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Milliseconds as a clock shows them: "0:09", "12:41", "1:02:07". */
export function timer(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const time = (ms) => clock.format(ms);
export const day = (ms) => days.format(ms);
export const zone = clock.resolvedOptions().timeZone;

/** How long ago, in one unit: it changes seldom. */
export function ago(ms, nowMs) {
  const seconds = Math.max(0, (nowMs - ms) / 1000);
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86400) return `${Math.floor(seconds / 86400)} d ago`;
  return day(ms);
}

export const moment = (ms) => `${day(ms)}, ${clock.format(ms)} ${zone}`;
