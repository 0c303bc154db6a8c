// The page's languages: what each calls itself, its tag, the direction that it is written in, its table of
// texts, and what the gateway's errors say in it; the gateway itself says it in English.

import { ar as becauseAr } from "./reasons-ar.js";
import { zh as becauseZh } from "./reasons-zh.js";
import { ar } from "./strings-ar.js";
import { en } from "./strings-en.js";
import { zh } from "./strings-zh.js";

export const LANGUAGES = {
  en: { name: "English", tag: "en", direction: "ltr" },
  zh: { name: "中文", tag: "zh-CN", direction: "ltr" },
  ar: { name: "العربية", tag: "ar", direction: "rtl" },
};

export const TABLES = { en, zh, ar };
export const REASONS = { zh: becauseZh, ar: becauseAr };
