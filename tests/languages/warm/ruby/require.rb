#!/usr/bin/env ruby -w
# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true
require 'json'
require 'set'
require 'securerandom'
puts JSON.generate({ "a" => [1, nil] }), Set.new([1]).inspect, SecureRandom.hex(4).size
x = 1
begin
  "a" << "b"
rescue => e
  puts e.message, e.backtrace
end
warn "deprecated", category: :deprecated
def deep(n) = deep(n + 1)
begin
  deep(0)
rescue SystemStackError => e
  puts e.message
end
