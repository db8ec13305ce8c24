defmodule Forever do
  def run, do: run()
end

Forever.run()
