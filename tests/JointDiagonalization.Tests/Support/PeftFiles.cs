using System.Text.Json.Nodes;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Writes adapter folders as PEFT does.</summary>
internal static class PeftFiles
{
    internal static JsonObject Config(int rank, double? alpha = 16) => new()
    {
        ["peft_type"] = "LORA",
        ["base_model_name_or_path"] = "test/base",
        ["r"] = rank,
        ["lora_alpha"] = alpha,
        ["bias"] = "none",
        ["task_type"] = "CAUSAL_LM",
        ["use_dora"] = false,
        ["modules_to_save"] = null,
    };

    internal static string NameOfA(string module) => $"base_model.model.{module}.lora_A.weight";

    internal static string NameOfB(string module) => $"base_model.model.{module}.lora_B.weight";

    internal static SafetensorsWriter Weights(IEnumerable<KeyValuePair<string, LoraDelta>> modules, DType dtype = DType.F32)
    {
        var writer = new SafetensorsWriter();
        foreach (var (module, delta) in modules)
        {
            writer.Add(NameOfA(module), delta.A, [delta.Rank, delta.InFeatures], dtype);
            writer.Add(NameOfB(module), delta.B, [delta.OutFeatures, delta.Rank], dtype);
        }

        return writer;
    }

    internal static void Write(string folder, JsonObject config, SafetensorsWriter weights)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), config.ToJsonString());
        weights.Save(Path.Combine(folder, "adapter_model.safetensors"));
    }

    internal static void Write(string folder, IEnumerable<KeyValuePair<string, LoraDelta>> modules, DType dtype = DType.F32)
    {
        var list = modules.ToList();
        Write(folder, Config(list[0].Value.Rank), Weights(list, dtype));
    }
}
