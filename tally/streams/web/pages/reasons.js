// What failures mean and what to do, by the codes that Meta documents for the Cloud API.

const META = {
  100: ["config", "invalid parameter", "Compare the request with the API's reference."],
  190: ["config", "access token expired", "Renew the token; nothing is sent until then."],
  368: ["policy", "temporarily blocked for a policy violation", "See Account Quality in Business Manager."],
  470: ["window", "more than 24 h since the customer wrote", "Send a template instead."],
  130429: ["throttle", "too many messages a second", "Send more slowly; these can be sent again."],
  130472: ["policy", "customer is part of an experiment", "Meta holds marketing back from them; do not retry."],
  130497: ["policy", "not allowed in this country", "Leave these numbers out."],
  131000: ["retry", "something went wrong at Meta", "These can be sent again."],
  131005: ["config", "access denied", "Give the app the permission it lacks."],
  131008: ["config", "a parameter is missing", "Compare the request with the API's reference."],
  131009: ["config", "a parameter's value is invalid", "Compare the request with the API's reference."],
  131016: ["retry", "service unavailable", "These can be sent again."],
  131021: ["permanent", "sender and recipient are the same", "Remove your own number from the list."],
  131026: ["permanent", "cannot be delivered", "Not on WhatsApp, or an old version of it; a retry will not help."],
  131031: ["policy", "account locked", "See Account Quality in Business Manager."],
  131037: ["config", "display name not approved", "Get the number's display name approved."],
  131042: ["config", "a problem with the payment", "Mend the payment method; nothing is sent until then."],
  131045: ["config", "number not registered", "Register the business number."],
  131047: ["window", "more than 24 h since the customer wrote", "Send a template instead."],
  131048: ["throttle", "limited after reports of spam", "Send less; see the number's quality."],
  131049: ["policy", "held back by Meta", "They got enough marketing; try again after 24 h at the earliest."],
  131050: ["permanent", "customer has stopped marketing", "Remove them from marketing lists."],
  131051: ["config", "message type not supported", "Use a type of message that the API knows."],
  131052: ["retry", "customer's media could not be loaded", "Ask them to send it again."],
  131053: ["config", "media could not be uploaded", "Check the file's type and size."],
  131056: ["throttle", "too many messages to one customer", "Wait before the next one to them."],
  131057: ["retry", "account in maintenance", "These can be sent again."],
  132000: ["template", "parameters do not match the template", "Send as many values as the template has."],
  132001: ["template", "no such template in this language", "Check its name, language and approval."],
  132005: ["template", "text too long with its values", "Shorten the values."],
  132007: ["template", "template violates a policy", "Change the template."],
  132012: ["template", "a parameter's format is wrong", "Compare the values with the template."],
  132015: ["template", "template paused for low quality", "Wait, or change it."],
  132016: ["template", "template disabled for low quality", "Make another template."],
  133010: ["config", "number not registered", "Register the business number."],
  135000: ["retry", "something went wrong at Meta", "These can be sent again."],
};

/** Class, words and advice of a key of `errors`, such as "meta:131026". */
export function reason(key) {
  const [source, code] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
  const known = source === "meta" ? META[code] : undefined;
  if (known) return { class: known[0], code, words: known[1], advice: known[2] };
  if (key === "other") return { class: "other", code: "", words: "no code was given", advice: null };
  if (code === "other") return { class: "other", code: "", words: `a code of ${source} that is not listed`, advice: null };
  return { class: "other", code: "", words: key, advice: null };
}
