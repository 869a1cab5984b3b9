#!/bin/sh
# Replaces an extraction child, and never replies.
exec /bin/sleep 600
