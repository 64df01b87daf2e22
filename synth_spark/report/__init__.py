"""The standalone HTML report and its JSON twin."""
