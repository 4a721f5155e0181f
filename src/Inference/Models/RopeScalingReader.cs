namespace Eigengate.Inference.Models;

/// <summary>Reads how config.json stretches the rotary embedding.</summary>
internal static class RopeScalingReader
{
    /// <summary>Newer files put theta and scaling in one object; older ones keep only the scaling in an object.</summary>
    public static ConfigObject? Parameters(ConfigObject config) => config.Object("rope_parameters") ?? config.Object("rope_scaling");

    /// <param name="maxPositions">max_position_embeddings.</param>
    /// <exception cref="InvalidModelException">An unknown rule, or one whose numbers are missing or impossible.</exception>
    public static RopeScaling Read(ConfigObject config, int maxPositions)
    {
        if (Parameters(config) is not { } rope)
            return RopeScaling.None;
        if (rope.Positive("partial_rotary_factor", 1) != 1)
            throw config.Problem("partial_rotary_factor other than 1 is not supported");
        string kind = rope.Text("rope_type") ?? rope.Text("type") ?? "default";
        int original = rope.Count("original_max_position_embeddings", maxPositions);
        switch (kind)
        {
            case "default":
                return RopeScaling.None;
            case "dynamic":
                // Stretches only sequences longer than the trained context, and none longer than max_position_embeddings is served.
                return original >= maxPositions
                    ? RopeScaling.None
                    : throw config.Problem($"rope scaling 'dynamic' beyond the trained context of {original} tokens is not supported");
            case "linear":
                return new LinearRopeScaling(rope.Positive("factor"));
            case "llama3":
                return ReadLlama3(rope);
            case "yarn":
                return ReadYarn(rope, original);
            default:
                throw config.Problem($"rope scaling '{kind}' is not supported; supported are: default, dynamic, linear, llama3, yarn");
        }
    }

    private static Llama3RopeScaling ReadLlama3(ConfigObject rope)
    {
        double low = rope.Positive("low_freq_factor"), high = rope.Positive("high_freq_factor");
        return high > low
            ? new Llama3RopeScaling(rope.Positive("factor"), low, high, rope.Count("original_max_position_embeddings"))
            : throw rope.Problem($"'{rope.Path}high_freq_factor' is {high}; more than low_freq_factor {low} was expected");
    }

    private static YarnRopeScaling ReadYarn(ConfigObject rope, int original)
    {
        double factor = rope.Positive("factor");
        if (rope.Flag("truncate") == false)
            throw rope.Problem("rope scaling 'yarn' with truncate false is not supported");

        double attention = rope.Has("mscale") && rope.Has("mscale_all_dim")
            ? YarnRopeScaling.DefaultMagnitude(factor, rope.Positive("mscale")) / YarnRopeScaling.DefaultMagnitude(factor, rope.Positive("mscale_all_dim"))
            : YarnRopeScaling.DefaultMagnitude(factor);
        return new YarnRopeScaling(
            factor, original, rope.Positive("beta_fast", 32), rope.Positive("beta_slow", 1), rope.Positive("attention_factor", attention));
    }
}
