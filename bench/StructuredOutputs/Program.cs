using System.CommandLine;
using Eigengate.Bench.StructuredOutputs;
using Eigengate.Inference.Tokenization;

var tokenizers = new Argument<string[]>("tokenizers") { Description = "Folders with a tokenizer", Arity = ArgumentArity.OneOrMore };
var texts = new Option<int>("--texts") { Description = "Texts followed under each constraint", DefaultValueFactory = _ => 50 };
var hostile = new Option<bool>("--hostile") { Description = "Compile constraints made to be costly instead of following texts" };
var root = new RootCommand("Time to find token masks under ordinary constraints, or to compile hostile ones") { tokenizers, texts, hostile };
root.SetAction(options =>
{
    foreach (string folder in options.GetValue(tokenizers)!)
    {
        Tokenizer tokenizer = Tokenizer.Load(folder);
        Console.WriteLine($"\n{tokenizer.VocabularySize} tokens ({folder})\n");
        if (options.GetValue(hostile))
            HostileBenchmark.Run(tokenizer);
        else
            MaskBenchmark.Run(tokenizer, options.GetValue(texts));
    }
});
return await root.Parse(args).InvokeAsync();
