"""The markets of Meta's rate cards: countries by their names there, and the areas of all others. Pure.

Areas: Meta's list of markets (https://developers.facebook.com/documentation/business-messaging/whatsapp/pricing).
Which countries have a rate of their own changes; a card that names a country decides for it.
"""

from collections.abc import Mapping

_REGIONS_OF = {
    "North America": "CA US",
    "Rest of Africa": (
        "AO BF BI BJ BW CG CI CM DZ ER ET GA GH GM GW KE LR LS LY MA MG ML MR MW MZ NA NE RW SD SL SN "
        "SO SS SZ TD TG TN TZ UG ZM"
    ),
    "Rest of Asia Pacific": "AF AU BD CN HK JP KH LA LK MN NP NZ PG PH SG TH TJ TM TW UZ VN",
    "Rest of Central & Eastern Europe": "AL AM AZ BG BY CZ GE GR HR HU LT LV MD MK PL RO RS SI SK UA",
    "Rest of Latin America": "BO CR DO EC GT HN HT JM NI PA PR PY SV UY VE",
    "Rest of Middle East": "BH IQ JO KW LB OM QA YE",
    "Rest of Western Europe": "AT BE CH DK FI IE NO PT SE",
}
OTHER = "Other"
"""Every country that a card neither names nor has an area for."""
AREA_OF: Mapping[str, str] = {
    region: area for area, regions in _REGIONS_OF.items() for region in regions.split()
}
"""The area of a region that a card does not name."""

_NAMES = """
AE United Arab Emirates; AF Afghanistan; AL Albania; AM Armenia; AO Angola; AR Argentina; AT Austria;
AU Australia; AZ Azerbaijan; BD Bangladesh; BE Belgium; BF Burkina Faso; BG Bulgaria; BH Bahrain;
BI Burundi; BJ Benin; BO Bolivia; BR Brazil; BW Botswana; BY Belarus; CA Canada; CG Republic of the Congo;
CG Congo; CH Switzerland; CI Ivory Coast; CL Chile; CM Cameroon; CN China; CO Colombia; CR Costa Rica;
CZ Czech Republic; CZ Czechia; DE Germany; DK Denmark; DO Dominican Republic; DZ Algeria; EC Ecuador;
EG Egypt; ER Eritrea; ES Spain; ET Ethiopia; FI Finland; FR France; GA Gabon; GB United Kingdom; GE Georgia;
GH Ghana; GM Gambia; GR Greece; GT Guatemala; GW Guinea-Bissau; HK Hong Kong; HN Honduras; HR Croatia;
HT Haiti; HU Hungary; ID Indonesia; IE Ireland; IL Israel; IN India; IQ Iraq; IT Italy; JM Jamaica;
JO Jordan; JP Japan; KE Kenya; KH Cambodia; KR South Korea; KW Kuwait; LA Laos; LB Lebanon; LK Sri Lanka;
LR Liberia; LS Lesotho; LT Lithuania; LV Latvia; LY Libya; MA Morocco; MD Moldova; MG Madagascar;
MK North Macedonia; ML Mali; MN Mongolia; MR Mauritania; MW Malawi; MX Mexico; MY Malaysia; MZ Mozambique;
NA Namibia; NE Niger; NG Nigeria; NI Nicaragua; NL Netherlands; NO Norway; NP Nepal; NZ New Zealand;
OM Oman; PA Panama; PE Peru; PG Papua New Guinea; PH Philippines; PK Pakistan; PL Poland; PR Puerto Rico;
PT Portugal; PY Paraguay; QA Qatar; RO Romania; RS Serbia; RU Russia; RW Rwanda; SA Saudi Arabia; SD Sudan;
SE Sweden; SG Singapore; SI Slovenia; SK Slovakia; SL Sierra Leone; SN Senegal; SO Somalia; SS South Sudan;
SV El Salvador; SZ Swaziland; SZ Eswatini; TD Chad; TG Togo; TH Thailand; TJ Tajikistan; TM Turkmenistan;
TN Tunisia; TR Turkey; TR Türkiye; TW Taiwan; TZ Tanzania; UA Ukraine; UG Uganda; US United States;
UY Uruguay; UZ Uzbekistan; VE Venezuela; VN Vietnam; YE Yemen; ZA South Africa; ZM Zambia; ZW Zimbabwe
"""
_MARKETS: dict[str, str] = {area.casefold(): area for area in (*_REGIONS_OF, OTHER)}
_MARKETS |= {
    name.casefold(): region
    for region, name in (one.strip().split(" ", 1) for one in _NAMES.replace("\n", " ").split(";"))
}


def market_named(name: str, regions: frozenset[str]) -> str | None:
    """Return the market that a card's line names: a region, or an area; None for one that is unknown.

    `regions` are all that there are; their codes are names too.
    """
    return name if name in regions else _MARKETS.get(name.casefold())
