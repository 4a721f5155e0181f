using System.CommandLine;
using System.Globalization;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;

namespace Eigengate.Cli.Commands;

/// <summary>Compressed adapters back out, in a format that others read.</summary>
internal static class ExportCommand
{
    private static readonly Option<string> To = new Option<string>("--to") { Description = "Format to write", DefaultValueFactory = _ => "peft" }
        .OneOf("peft");

    private static readonly Option<string> Source = new("--bundle") { Description = "Bundle folder", HelpName = "BUNDLE", Required = true };
    private static readonly Option<string> Out = new("--out") { Description = "Folder to create, one subfolder per adapter", HelpName = "DIR", Required = true };

    private static readonly Option<string[]> Adapters = new("--adapter")
    {
        Description = "Adapters to write [default: all]",
        HelpName = "ID",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<string> Dtype = new Option<string>("--dtype") { Description = "Storage type", DefaultValueFactory = _ => "float32" }
        .OneOf("float32", "bfloat16", "float16");

    public static Command Create()
    {
        var command = new Command("export", """
            Writes compressed adapters as ordinary LoRA adapters, for PEFT, vLLM and every other reader of that format.

            Each is exactly what this bundle serves: its rank is that of the basis, its scale is 1.

            Example:  eigengate export --bundle my-bundle --out my-lora --adapter poet lawyer
            """)
        {
            To, Source, Out, Adapters, Dtype,
        };
        // On another thread: Ctrl+C is heeded only once this call has returned a task.
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult options, CancellationToken cancel)
    {
        string output = options.GetValue(Out)!;
        using Bundle bundle = Bundle.Open(options.GetValue(Source)!);
        string[] all = [.. bundle.Manifest.Adapters.Select(a => a.Id)];
        string[] chosen = options.GetValue(Adapters) is { Length: > 0 } named ? named : all;
        if (Array.Find(chosen, id => !all.Contains(id, StringComparer.Ordinal)) is { } unknown)
            throw new ArgumentException($"the bundle has no adapter '{unknown}'");

        DType dtype = options.GetValue(Dtype) switch { "bfloat16" => DType.BF16, "float16" => DType.F16, _ => DType.F32 };
        IReadOnlyList<SkippedAdapter> skipped = PeftExport.Write(bundle, chosen, output, dtype, cancel);
        foreach (SkippedAdapter adapter in skipped)
            Console.Error.WriteLine($"left out: {adapter.Id}: {adapter.Reason}");
        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{chosen.Distinct().Count() - skipped.Count} adapters written to {output}"));
        return skipped.Count == 0 ? ExitCode.Success : ExitCode.Partial;
    }
}
