"""What the API answers, as pydantic models: units last in every name, both for people and exact.

For people there are kWh, EUR, EUR/kWh and degrees C; beside them, where it matters, the market's
own integers: Wh (``_wh``), nano-euro (``_neur``), and nano-euro per Wh (``_neur_per_wh``), which is
micro-euro per kWh. A price in EUR/kWh has at most six decimals and is exact.
"""
