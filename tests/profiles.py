"""The settings of profiles that tests share."""

from resources.profiles import load_settings

TINY = load_settings("tiny")
