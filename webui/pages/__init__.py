"""The pages of the dashboard, one file per noun; all belong to the one blueprint `pages`."""
