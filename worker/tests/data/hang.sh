#!/bin/sh
# Stands in for an extraction child that never answers.
exec /bin/sleep 600
