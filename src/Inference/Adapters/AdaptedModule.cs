using System.Globalization;
using Eigengate.Inference.Models;

namespace Eigengate.Inference.Adapters;

/// <summary>Linear layers that read the same input and therefore share one shrink.</summary>
internal enum Site
{
    Qkv,
    Output,
    GateUp,
    Down,
}

/// <summary>One linear layer of the base model, as adapters name it.</summary>
/// <param name="Layer">Decoder layer index.</param>
/// <param name="Site">Where it runs.</param>
/// <param name="Order">Position among the layers of its site.</param>
/// <param name="Column">First column of its output in the site's output row.</param>
/// <param name="DOut">Output width.</param>
/// <param name="DIn">Input width.</param>
internal readonly record struct AdaptedModule(int Layer, Site Site, int Order, int Column, int DOut, int DIn)
{
    public const int Sites = 4;
    private const string Prefix = "model.layers.";

    /// <summary>Resolves a module path such as model.layers.3.self_attn.q_proj.</summary>
    /// <exception cref="InvalidAdapterException">The base model has no such module, or it cannot be adapted.</exception>
    public static AdaptedModule Parse(string name, ModelConfig config)
    {
        string path = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : "";
        int dot = path.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0 || !int.TryParse(path[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out int layer) || layer >= config.Layers)
            throw new InvalidAdapterException($"module '{name}' does not exist in the base model of {config.Layers} layers");

        int hidden = config.HiddenSize, query = config.QueryWidth, kv = config.KvWidth, mlp = config.IntermediateSize;
        return path[(dot + 1)..] switch
        {
            "self_attn.q_proj" => new(layer, Site.Qkv, 0, 0, query, hidden),
            "self_attn.k_proj" => new(layer, Site.Qkv, 1, query, kv, hidden),
            "self_attn.v_proj" => new(layer, Site.Qkv, 2, query + kv, kv, hidden),
            "self_attn.o_proj" => new(layer, Site.Output, 0, 0, hidden, query),
            "mlp.gate_proj" => new(layer, Site.GateUp, 0, 0, mlp, hidden),
            "mlp.up_proj" => new(layer, Site.GateUp, 1, mlp, mlp, hidden),
            "mlp.down_proj" => new(layer, Site.Down, 0, 0, hidden, mlp),
            _ => throw new InvalidAdapterException($"module '{name}' cannot be adapted; adaptable are q, k, v, o, gate, up and down projections"),
        };
    }
}
