"""Languages of templates as producers write them, each as Meta's list has it; what is no such code stays."""

LANGUAGES = {
    "en": "en",
    "EN": "en",
    "pt_BR": "pt_BR",
    "pt-br": "pt_BR",
    "PT_br": "pt_BR",
    "FIL": "fil",
    "es-419": "es_419",
    "zh-hans": "zh_hans",
    "Zh-Hans_CN": "Zh_Hans_CN",
    "e": "e",
    "EN_": "EN_",
    "en_u": "en_u",
    "\u0131T": "\u0131T",
    "EN\n": "EN\n",
    "": "",
}
