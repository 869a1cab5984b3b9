//! Everything the API promises, asked over HTTP of a real one on a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "to unwrap what is not there is to fail, as a test should")]

mod access;
mod access_lost;
mod accounts;
mod activities;
mod app;
mod behind;
mod doctor;
mod drain;
mod events;
mod files;
mod health;
mod hostile;
mod hygiene;
mod idempotency;
mod invites;
mod journey;
mod kills;
mod limits;
mod members;
mod migrations;
mod openapi;
mod pages;
mod problems;
mod quotas;
mod roles;
mod scenarios;
mod search;
mod slow;
mod start;
mod tenants;
mod tls;
mod tokens;
mod trail;
mod workspaces;
