// The page's languages: what each calls itself, its tag, the direction that it is written in, and its table of texts.

import { ar } from "./strings-ar.js";
import { en } from "./strings-en.js";
import { zh } from "./strings-zh.js";

export const LANGUAGES = {
  en: { name: "English", tag: "en", direction: "ltr" },
  zh: { name: "中文", tag: "zh-CN", direction: "ltr" },
  ar: { name: "العربية", tag: "ar", direction: "rtl" },
};

export const TABLES = { en, zh, ar };
