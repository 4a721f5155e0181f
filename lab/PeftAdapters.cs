using System.Text.Json.Nodes;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>Adapters on disk in PEFT layout: one folder each with adapter_config.json and adapter_model.safetensors.</summary>
public static class PeftAdapters
{
    private const string ModelFile = "adapter_model.safetensors";

    /// <summary>Writes adapter i of the stack to the folder of the i-th id.</summary>
    public static void Save(StackedLora lora, string directory, IReadOnlyList<string> ids)
    {
        for (int i = 0; i < ids.Count; i++)
        {
            string folder = Path.Combine(directory, ids[i]);
            Directory.CreateDirectory(folder);
            var writer = new SafetensorsWriter().Metadata("format", "pt");
            foreach (var (module, (a, b)) in lora.Factors)
            {
                TensorFiles.Add(writer, TensorName(module, 'A'), a[i]);
                TensorFiles.Add(writer, TensorName(module, 'B'), b[i]);
            }

            writer.Save(Path.Combine(folder, ModelFile));
            JsonFiles.Write(Path.Combine(folder, "adapter_config.json"), Config(lora));
        }
    }

    /// <summary>Loads the named adapters of one base into one stack.</summary>
    public static StackedLora Load(LlamaConfig config, string directory, IReadOnlyList<string> ids)
    {
        var lora = new StackedLora(config, ids.Count, AdapterTrainer.Rank, AdapterTrainer.Alpha);
        using var _ = no_grad();
        for (int i = 0; i < ids.Count; i++)
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(directory, ids[i], ModelFile));
            foreach (var (module, (a, b)) in lora.Factors)
            {
                TensorFiles.CopyInto(a[i], file, TensorName(module, 'A'));
                TensorFiles.CopyInto(b[i], file, TensorName(module, 'B'));
            }
        }

        return lora;
    }

    private static string TensorName(string module, char factor) => $"base_model.model.{module}.lora_{factor}.weight";

    private static JsonObject Config(StackedLora lora) => new()
    {
        ["peft_type"] = "LORA",
        ["task_type"] = "CAUSAL_LM",
        ["base_model_name_or_path"] = BaseFiles.ModelName,
        ["r"] = lora.Rank,
        ["lora_alpha"] = lora.Alpha,
        ["lora_dropout"] = 0.0,
        ["target_modules"] = new JsonArray([.. StackedLora.Modules]),
        ["bias"] = "none",
        ["fan_in_fan_out"] = false,
        ["inference_mode"] = true,
        ["init_lora_weights"] = true,
        ["modules_to_save"] = null,
        ["layers_to_transform"] = null,
        ["rank_pattern"] = new JsonObject(),
        ["alpha_pattern"] = new JsonObject(),
        ["use_dora"] = false,
        ["use_rslora"] = false,
    };
}
